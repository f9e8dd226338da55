import { readFileSync } from 'node:fs';
import { errorMessage, Pi05Error } from '../errors.js';
import { parseUrdf, type RobotModel } from './urdf.js';

/** The URDF in a file. @throws Pi05Error ROBOT_DESCRIPTION_MISSING, ROBOT_DESCRIPTION_DATA. */
export function readUrdfFile(path: string): RobotModel {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const sentence = `Expected a URDF at ${path} (robot_description_file), received: ${errorMessage(error)}`;
    throw new Pi05Error('ROBOT_DESCRIPTION_MISSING', sentence, path);
  }
  return parseUrdf(text, path);
}

import type { ScheduleConfig } from '../../config/config.js';
import { async } from './async.js';
import type { ExecutionMode } from './mode.js';
import { sync } from './sync.js';

/** By `schedule.mode`. */
export const MODES: Readonly<Record<ScheduleConfig['mode'], ExecutionMode>> = { sync, async };

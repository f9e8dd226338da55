import { venvPython } from './paths.mjs';
import { RENDERING_REMEDY } from './prerequisites.mjs';
import { CommandFailed, run } from './run.mjs';
import { UserError } from './user-error.mjs';

const RENDER = `
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=".1"/></worldbody></mujoco>')
with mujoco.Renderer(model, 48, 64) as renderer:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer.update_scene(data)
    print(renderer.render().shape)
`;

/** Checks that an image can be rendered without a screen, as the cameras of the simulated arm do. */
export const renderingStep = {
  name: 'rendering',
  title: 'Headless rendering',
  inputs: () => [RENDER, process.env.MUJOCO_GL ?? ''],
  ready: () => true,
  megabytes: 0,
  async execute(log) {
    try {
      await run(log, venvPython, ['-c', RENDER], { env: { MUJOCO_GL: 'egl', ...process.env } });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new UserError(
        `MuJoCo cannot render without a screen through EGL (log: ${log.path}). Remedy: ${RENDERING_REMEDY}`,
        2,
      );
    }
  },
};

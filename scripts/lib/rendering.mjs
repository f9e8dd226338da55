import { venvPython } from './paths.mjs';
import { RENDERING_REMEDY } from './prerequisites.mjs';
import { Problem } from './problem.mjs';
import { CommandFailed, run } from './run.mjs';

const RENDER = `
import mujoco
model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size=".1"/></worldbody></mujoco>')
with mujoco.Renderer(model, 48, 64) as renderer:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    renderer.update_scene(data)
    print(renderer.render().shape)
`;

/** Renders one picture without a screen, as the simulated arm's cameras do. */
export const renderingStep = {
  name: 'rendering',
  title: 'Headless rendering',
  inputs: () => [RENDER, process.env.MUJOCO_GL ?? ''],
  ready: () => true,
  megabytes: 0,
  async work(log) {
    try {
      await run(log, venvPython, ['-c', RENDER], { env: { MUJOCO_GL: 'egl', ...process.env } });
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      throw new Problem(
        `MuJoCo could not render without a screen through EGL (${log.path}). Remedy: ${RENDERING_REMEDY}`,
        2,
      );
    }
  },
};

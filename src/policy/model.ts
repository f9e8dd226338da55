import type { PolicyConfig } from '../config/config.js';
import type { Problems } from '../config/problems.js';
import { IMAGE_SLOTS } from '../frame/frame.js';

/** The properties of a loaded model that the policy needs; a subset of the engine's ModelInfo. */
export interface PolicyModel {
  readonly family: 'openpi' | 'lerobot';
  /** Whether the state is part of the prompt. */
  readonly stateInPrompt: boolean;
  /** Numbers that the normalised state is padded to with zeros before it is discretised; 0 = it is not padded. */
  readonly paddedState: number;
  readonly slots: number;
  readonly actionDim: number;
  /** 0 = no file states it, which the engine reports. */
  readonly horizon: number;
  readonly maxTokens: number;
  readonly vocab: number;
  /** Longest delay that training-time RTC was trained with, steps; 0 = not trained for RTC. */
  readonly rtcTrainedMaxDelay: number;
}

/** Checks a configuration against a model: slots, number of actions, horizon, state. */
export function checkModel(config: PolicyConfig, model: PolicyModel, problems: Problems): void {
  const { action, cameras, schedule, state } = config;
  for (const { name, slot } of cameras) {
    if (IMAGE_SLOTS.indexOf(slot) < model.slots) continue;
    problems.add(
      'CONFIG_RANGE',
      `Expected one of the checkpoint's slots ${IMAGE_SLOTS.slice(0, model.slots).join(', ')} for the camera ${name}, ` +
        `received ${slot}`,
      `cameras.${name}.slot`,
    );
  }
  if (action.joints.length > model.actionDim) {
    problems.add(
      'CONFIG_RANGE',
      `Expected at most the checkpoint's ${String(model.actionDim)} actions in action.joints, ` +
        `received ${String(action.joints.length)}`,
      'action.joints',
    );
  }
  if (model.horizon > 0 && schedule.replanSteps > model.horizon) {
    problems.add(
      'CONFIG_RANGE',
      `Expected schedule.replan_steps up to the checkpoint's horizon of ${String(model.horizon)}, ` +
        `received ${String(schedule.replanSteps)}`,
      'schedule.replan_steps',
    );
  }
  if (schedule.mode === 'rtc_trained' && model.rtcTrainedMaxDelay === 0) {
    problems.add(
      'CHECKPOINT_RTC',
      'Expected a checkpoint that declares rtc.trained_max_delay for schedule.mode rtc_trained, received one without; ' +
        'rtc works with every checkpoint',
      'schedule.mode',
    );
  }
  if (model.stateInPrompt && state.mode === 'none') {
    problems.add(
      'CONFIG_RANGE',
      'Expected state.mode joints for a checkpoint with the state in its prompt, received none',
      'state.mode',
    );
  }
}

import type { ScheduleConfig } from '../../config/config.js';
import { async } from './async.js';
import { ensemble } from './ensemble.js';
import type { ExecutionMode } from './mode.js';
import { rtc } from './rtc.js';
import { rtcTrained } from './rtc-trained.js';
import { sync } from './sync.js';

/** By `schedule.mode`. */
export const MODES: Readonly<Record<ScheduleConfig['mode'], ExecutionMode>> = {
  sync,
  async,
  ensemble,
  rtc,
  rtc_trained: rtcTrained,
};

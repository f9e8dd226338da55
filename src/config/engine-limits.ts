/**
 * Limits of the native engine, the same for every checkpoint. They are known here so that a parameter file can be checked
 * without the engine; a test compares them with what the engine reports (`limits()` of the addon, `pi05_limits` in pi05.h).
 */
export const ENGINE_LIMITS = {
  /** Largest number of flow steps of an inference. */
  maxFlowSteps: 100,
  /** Largest width and height of an image, pixels. `ModelInfo.imageSize` limits its aspect ratio. */
  maxImageSide: 65536,
  /** Largest number of CPU threads. */
  maxThreads: 1024,
} as const;
export type EngineLimits = { readonly [Limit in keyof typeof ENGINE_LIMITS]: number };

import { addon, type ImageFile, nativeError } from './addon.js';

export type { ImageFile } from './addon.js';

/**
 * Checks a JPEG or PNG file off this thread, without computing its pixels: what it lacks, and its size. What decoders only
 * warn of is not damage: bytes that belong to nothing, and fields that they do not need.
 * @param data at least 8 bytes, which must not change meanwhile.
 */
export async function checkImageFile(data: Uint8Array): Promise<ImageFile> {
  try {
    return await addon().checkImageFile(data);
  } catch (error) {
    throw nativeError(error);
  }
}

/**
 * Installs nvcc from PyPI into .pi05/cuda and prints the directory of the toolkit. It can compile the CUDA backend, not run it:
 *   PATH="$(node scripts/cuda-compiler.mjs)/bin:$PATH" npm run build
 */
import { cudaHome } from './lib/cuda-compiler.mjs';
import { nativeStep } from './lib/native.mjs';
import { markStale } from './lib/steps.mjs';
import { main } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  const ran = await setup({ product: false, tools: true, cudaCompiler: true });
  if (ran > 0) markStale(nativeStep); // it may have been built without CUDA
  process.stdout.write(`${cudaHome}\n`);
});

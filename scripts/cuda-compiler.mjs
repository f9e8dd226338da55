/**
 * Installs nvcc from PyPI into .pi05/cuda and prints the directory of the toolkit. It can compile the CUDA backend, not run it:
 *   PATH="$(node scripts/cuda-compiler.mjs)/bin:$PATH" npm run build
 */
import { cudaHome } from './lib/cuda-compiler.mjs';
import { main } from './lib/user-error.mjs';
import { setup } from './setup.mjs';

await main(async () => {
  await setup({ product: false, tools: true, cudaCompiler: true });
  process.stdout.write(`${cudaHome}\n`);
});

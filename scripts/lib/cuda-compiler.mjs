import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { inRoot, local } from './paths.mjs';
import { installWheels } from './wheels.mjs';

const target = local('cuda');
const requirements = inRoot('scripts', 'requirements', 'cuda.txt');

/** The CUDA toolkit directory that this step makes, with bin/nvcc. */
export const cudaHome = join(target, 'nvidia', 'cu13');

/** nvcc from PyPI, for machines without a CUDA toolkit. Needs the Python environment. */
export const cudaCompilerStep = {
  name: 'cuda-compiler',
  title: 'CUDA compiler',
  inputs: () => [readFileSync(requirements, 'utf8')],
  ready: () => existsSync(join(cudaHome, 'bin', 'nvcc')) && existsSync(join(cudaHome, 'lib64')),
  megabytes: 280,
  async execute(log) {
    rmSync(target, { recursive: true, force: true });
    await installWheels(log, target, requirements, ['--no-deps']);
    // Names that nvcc and CMake's FindCUDAToolkit search for and that the wheels lack.
    symlinkSync('libcudart.so.13', join(cudaHome, 'lib', 'libcudart.so'));
    symlinkSync('lib', join(cudaHome, 'lib64'));
  },
};

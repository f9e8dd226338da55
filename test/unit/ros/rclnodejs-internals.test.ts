import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import typescript from 'typescript';
import {
  bindingFiles,
  GENERATED_MESSAGES,
  NATIVE_FUNCTIONS,
  NATIVE_MODULE,
  OVERRIDDEN_METHODS,
  TIME_SOURCE,
} from '../../../src/ros/rclnodejs-internals.js';
import { packageRoot } from '../root.js';

/**
 * Reads the sources of the installed rclnodejs instead of importing it, which would need ROS. Where npm left the optional
 * dependency out, the tests are reported as skipped.
 */
const INSTALLED = join(packageRoot, 'node_modules', 'rclnodejs');
const testInstalled = existsSync(INSTALLED) ? test : test.skip;

/** The parameters of a class's method by `name`, as declared in a JavaScript file; undefined where there is none. */
function methodParameters(source: string, className: string, name: string): string[] | undefined {
  const file = typescript.createSourceFile('source.js', source, typescript.ScriptTarget.Latest, true);
  for (const statement of file.statements) {
    if (!typescript.isClassDeclaration(statement) || statement.name?.text !== className) continue;
    for (const member of statement.members) {
      if (typescript.isMethodDeclaration(member) && member.name.getText() === name) {
        return member.parameters.map((parameter) => parameter.name.getText());
      }
    }
  }
  return undefined;
}

/** One sentence for each private member that the rclnodejs in `root` lacks, or that it no longer calls. */
function missingMembers(root: string): string[] {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const source = (file: string): string => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
  const expected = (member: string, file: string, received: string): string =>
    `Expected ${member} in ${file} of rclnodejs ${version}, received ${received}: see src/ros/rclnodejs-internals.ts`;
  const sentences: string[] = [];
  for (const { class: className, method, file, parameters, caller } of OVERRIDDEN_METHODS) {
    const signature = `${className}.${method}(${parameters.join(', ')})`;
    const declared = methodParameters(source(file), className, method);
    if (declared?.join() !== parameters.join()) {
      sentences.push(expected(signature, file, declared === undefined ? 'none' : `(${declared.join(', ')})`));
    }
    const [callingFile, call] = caller;
    if (!source(callingFile).includes(call)) {
      sentences.push(expected(`a call of ${className}.${method} as ${call}`, callingFile, 'none'));
    }
  }
  for (const [file, text] of TIME_SOURCE)
    if (!source(file).includes(text)) sentences.push(expected(text, file, 'none'));
  if (!source(NATIVE_MODULE).includes('export default'))
    sentences.push(expected('a default export', NATIVE_MODULE, 'none'));
  for (const [name, bindings] of NATIVE_FUNCTIONS) {
    if (!source(bindings).includes(`exports.Set("${name}"`)) sentences.push(expected(name, bindings, 'none'));
  }
  const messages = GENERATED_MESSAGES.split('/').at(-1)!;
  if (!source('index.js').includes(`'${messages}'`)) sentences.push(expected(messages, 'index.js', 'none'));
  // The name's parts in the order of `bindingFiles`.
  const [, prebuilt = ''] = bindingFiles('${arch}', '${rosDistro}', '${ubuntuCodename}');
  const name = prebuilt.split('/').at(-1)!.replace('-node-rclnodejs.node', '-${runtime}-${PREBUILD_PACKAGE_NAME}.node');
  if (!source('lib/prebuilds.js').includes(name)) sentences.push(expected(name, 'lib/prebuilds.js', 'another name'));
  return sentences;
}

let copy: string;
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'pi05-rclnodejs-'));
  if (!existsSync(INSTALLED)) return;
  for (const part of ['package.json', 'index.js', 'lib', 'src']) {
    cpSync(join(INSTALLED, part), join(copy, part), { recursive: true });
  }
});
afterAll(() => rmSync(copy, { recursive: true }));

/** The members missing in the copy when `text` is replaced in one of its files. */
function missingWith(file: string, text: string, replacement: string): string[] {
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  writeFileSync(path, source.replaceAll(text, replacement));
  try {
    return missingMembers(copy);
  } finally {
    writeFileSync(path, source);
  }
}

testInstalled('the_installed_rclnodejs_has_every_private_member_that_is_used', () => {
  expect(missingMembers(INSTALLED)).toEqual([]);
});

testInstalled.each([
  [
    '_onChangeState',
    'lib/lifecycle.js',
    'Expected LifecycleNode._onChangeState(request, response) in lib/lifecycle.js of',
  ],
  ['_validateParameters', 'lib/node.js', 'Expected Node._validateParameters(parameters, declareParameterMode) in'],
  ['_getNativeParameterOverrides', 'lib/node.js', 'Expected Node._getNativeParameterOverrides() in lib/node.js of'],
  ['execute', 'lib/node.js', 'Expected Node.execute(handles) in lib/node.js of rclnodejs 2.2.0, received none: see'],
  [
    'getParameterOverrides',
    'src/rcl_node_bindings.cpp',
    'Expected getParameterOverrides in src/rcl_node_bindings.cpp of',
  ],
  ['rclTakeRaw', 'src/rcl_subscription_bindings.cpp', 'Expected rclTakeRaw in src/rcl_subscription_bindings.cpp of'],
  ['isRosTimeActive', 'lib/time_source.js', 'Expected set isRosTimeActive(enabled) in lib/time_source.js of'],
  ['export default', 'lib/native_loader.js', 'Expected a default export in lib/native_loader.js of rclnodejs 2.2.0'],
])('a_version_without_%s_is_named', (member, file, sentence) => {
  const [first] = missingWith(file, member, member.replace(/\w/, 'renamed'));
  expect(first).toContain(sentence);
  expect(first).toContain('of rclnodejs 2.2.0, received none');
});

testInstalled('a_method_that_upstream_no_longer_calls_is_named', () => {
  expect(missingWith('src/shadow_node.cpp', 'Get("execute")', 'Get("dispatch")')).toEqual([
    'Expected a call of Node.execute as Get("execute") in src/shadow_node.cpp of rclnodejs 2.2.0, received none: ' +
      'see src/ros/rclnodejs-internals.ts',
  ]);
});

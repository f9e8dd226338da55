import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { packageRoot } from '../root.js';

/** What the pages refer to: files and headings in links, and paths of this repository in code spans. */

const DIRECTORIES = [
  'bench',
  'bin',
  'checkpoints',
  'configs',
  'docs',
  'launch',
  'native',
  'scripts',
  'sim',
  'src',
  'test',
];

const PAGES = [
  ...markdownFiles('.', false),
  ...[...DIRECTORIES, 'training'].flatMap((directory) => markdownFiles(directory, true)),
].sort();

/** The Markdown files in a directory, relative to the root. */
function markdownFiles(directory: string, recursive: boolean): string[] {
  return readdirSync(join(packageRoot, directory), { recursive, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(directory, name));
}

const FENCED_CODE = /^ *```[^]*?^ *```/gm;
const LINK = /\]\(([^)\s]+)\)/g;
const CODE_SPAN = /`([^`\n]+)`/g;

/** The text of a page without its code blocks. */
function prose(page: string): string {
  return readFileSync(join(packageRoot, page), 'utf8').replaceAll(FENCED_CODE, '');
}

/** The targets of links to headings and to files of this repository. */
function localLinks(text: string): string[] {
  return [...text.replaceAll(CODE_SPAN, '').matchAll(LINK)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(page: string): string[] {
  return [...prose(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number}_\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Whether a link in `page` has a target. */
function exists(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(packageRoot, target))) return false;
  return anchor === undefined || anchors(target).includes(anchor);
}

/** The paths of this repository in code spans: the span is only a path, and it begins with one of DIRECTORIES. */
function namedPaths(text: string): string[] {
  return [...text.matchAll(CODE_SPAN)]
    .map(([, span = '']) => span)
    .filter((span) => /^[\w.-]+\/[\w./-]*$/.test(span) && DIRECTORIES.includes(span.split('/')[0]!));
}

test('the_check_finds_missing_files_headings_and_paths', () => {
  const text = 'See [a](docs/errors.md), ![b](docs/none.svg), `[c](none)`, [d](https://ros.org) and `src/errors.ts`.';
  expect(localLinks(text)).toEqual(['docs/errors.md', 'docs/none.svg']);
  expect(namedPaths(text)).toEqual(['src/errors.ts']);
  const links = ['docs/errors.md', 'docs/none.svg', 'docs/errors.md#camera_stale', 'docs/errors.md#camera'];
  expect(links.map((link) => exists('README.md', link))).toEqual([true, false, true, false]);
  expect(exists('docs/errors.md', '#refusals-inputs-that-are-not-used')).toBe(true);
});

test.each(PAGES)('%s links_to_existing_files_and_headings', (page) => {
  expect(localLinks(prose(page)).filter((link) => !exists(page, link))).toEqual([]);
});

// The changelog also names files that a release removed.
test.each(PAGES.filter((page) => page !== 'CHANGELOG.md'))('%s names_existing_files', (page) => {
  expect(namedPaths(prose(page)).filter((path) => !existsSync(join(packageRoot, path)))).toEqual([]);
});

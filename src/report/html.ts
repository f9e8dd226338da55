/** HTML markup, which is not escaped again. */
export class Html {
  constructor(readonly text: string) {}
}

export type Part = string | number | Html | readonly Html[];

/** A template tag for HTML that escapes every inserted string and number. */
export function html(markup: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(markup.reduce((text, piece, index) => text + render(parts[index - 1] ?? '') + piece));
}

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(({ text }) => text).join('');
  return String(part).replaceAll(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON for a <script> element, which no value can end. Numbers are rounded to 7 digits; NaN becomes null. */
export function json(value: unknown): Html {
  const text = JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'number' ? Number(member.toPrecision(7)) : member,
  );
  return new Html(text.replaceAll('<', '\\u003c'));
}

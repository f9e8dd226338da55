/** Text that is markup already. */
export class Html {
  constructor(readonly text: string) {}
}

type Part = string | number | Html | readonly Html[];

/** Markup in which every string and number put in is text, whatever is in it. */
export function html(markup: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(markup.reduce((text, piece, index) => text + render(parts[index - 1] ?? '') + piece));
}

function render(part: Part): string {
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(({ text }) => text).join('');
  return String(part).replaceAll(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** JSON for a <script> element: nothing in it can end the element. Numbers have 7 digits; NaN is null. */
export function json(value: unknown): Html {
  const text = JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'number' ? Number(member.toPrecision(7)) : member,
  );
  return new Html(text.replaceAll('<', '\\u003c'));
}

/** The first `limit` characters of a text from outside, which may have any length. */
export function excerpt(text: string, limit = 60): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length} characters)`;
}

/** The text with each run of white space as one space. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

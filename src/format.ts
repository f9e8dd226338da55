/** The first characters of a text from outside, which may have any length. */
export function excerpt(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}

/** The text with each run of white space as one space. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

/** The beginning of a text from outside, which may be of any length. */
export function excerpt(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}

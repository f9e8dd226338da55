/** What the recorder prints once a second. */
export interface ProgressLine {
  readonly t: number;
  readonly chunks: number;
}

/** What the recorder prints at the begin and at the end of an episode, the time in which the policy has one prompt. */
export interface Episode {
  readonly index: number;
  readonly count: number;
  readonly prompt: string;
  /** Null while it runs. */
  readonly seconds: number | null;
  /** Null while it runs, and for a prompt that is not judged. */
  readonly success: boolean | null;
  readonly reason: string;
}

/** What the recorder prints at the end. */
export interface Summary {
  readonly observations: number | null;
  readonly refused: Readonly<Record<string, number>> | null;
  readonly chunks: number;
  readonly inference_ms_p50: number | null;
  readonly inference_ms_p99: number | null;
  readonly tick_lateness_ms_p99: number | null;
  readonly picture: string;
  readonly episodes: readonly Episode[];
}

/** The width of the column of prompts; the default prompts fit. */
const PROMPT_WIDTH = 36;

/** The progress line. It must fit in one line of a terminal. @param episode the newest one, if there was one. */
export function describeProgress({ t, chunks }: ProgressLine, episode: Episode | undefined): string {
  if (t < 0 || episode === undefined) return `Waiting for the first chunk, ${Math.abs(t).toFixed(0)} s …`;
  const { prompt } = episode;
  const shortened = prompt.length > PROMPT_WIDTH ? `${prompt.slice(0, PROMPT_WIDTH - 1)}…` : prompt;
  return `${heading({ ...episode, prompt: shortened })}  ${t.toFixed(0)} s, ${chunks} chunks`;
}

/** The line about an episode that has ended: its prompt, what happened and after how long. */
export function describeEpisode(episode: Episode): string {
  const seconds = (episode.seconds ?? 0).toFixed(1);
  const outcome =
    episode.success === null
      ? `${seconds} s, not judged`
      : episode.success
        ? `success in ${seconds} s`
        : `failure: ${episode.reason}${episode.reason.startsWith('not within') ? '' : ` after ${seconds} s`}`;
  return `${heading(episode)}  ${outcome}`;
}

function heading({ index, count, prompt }: Episode): string {
  return `${index + 1} of ${count}  ${prompt.replace(/\s+/g, ' ').trim().padEnd(PROMPT_WIDTH)}`;
}

/** The summary that is printed at the end. @param gif path of the GIF, if one was asked for. */
export function report(summary: Summary, gif?: string): string {
  const refused = Object.entries(summary.refused ?? {});
  const judged = summary.episodes.filter(({ success }) => success !== null);
  const succeeded = judged.filter(({ success }) => success === true).length;
  const lines = [
    ...(judged.length === 0 ? [] : [['prompts', `${succeeded} of ${judged.length} succeeded`]]),
    ['observations built', number(summary.observations)],
    ['refused', refused.length === 0 ? '0' : refused.map(([code, count]) => `${count} ${code}`).join(', ')],
    ['chunks', number(summary.chunks)],
    ['inference', `p50 ${number(summary.inference_ms_p50, 1)} ms, p99 ${number(summary.inference_ms_p99, 1)} ms`],
    ['control-tick lateness', `p99 ${number(summary.tick_lateness_ms_p99, 1)} ms`],
    ['chart', summary.picture],
    ...(gif === undefined ? [] : [['GIF', gif]]),
  ] as [string, string][];
  return lines.map(([name, value]) => `${name.padEnd(23)}${value}\n`).join('');
}

function number(value: number | null, digits = 0): string {
  return value === null ? 'unknown' : value.toFixed(digits);
}

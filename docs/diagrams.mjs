/**
 * Draws the two diagrams of the documentation as SVG: `node docs/diagrams.mjs` writes them to docs/images/,
 * `node docs/diagrams.mjs --check` fails where a written one is stale. The numbers come from configs/pi05_droid.yaml.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

const FONT = 'font-family="Helvetica, Arial, sans-serif"';
const INK = '#1f2933';
const MUTED = '#616e7c';
const LINE = '#9aa5b1';
const FILLS = { ros: '#d9e8fb', js: '#e3f4e1', pool: '#fdf0d5', native: '#f9dfdc', gpu: '#e9e0f5' };

const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Text lines, `anchor` start | middle | end, the first line's baseline at y. */
function text(x, y, lines, { size = 13, anchor = 'start', colour = INK, weight = 'normal' } = {}) {
  return lines
    .map(
      (line, i) =>
        `<text x="${x}" y="${y + i * (size + 4)}" ${FONT} font-size="${size}" font-weight="${weight}" ` +
        `text-anchor="${anchor}" fill="${colour}">${escape(line)}</text>`,
    )
    .join('\n');
}

function rect(x, y, width, height, fill, { stroke = LINE, radius = 6, dash = '' } = {}) {
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${radius}" fill="${fill}" stroke="${stroke}"${dashes}/>`;
}

/** A polyline with an arrow head at its end; points as [x, y]. */
function arrow(...points) {
  return `<polyline points="${points.map((p) => p.join(',')).join(' ')}" fill="none" stroke="${MUTED}" stroke-width="1.5" marker-end="url(#head)"/>`;
}

function svg(width, height, title, body) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">
<title>${escape(title)}</title>
<!-- Written by docs/diagrams.mjs. -->
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="${MUTED}"/></marker></defs>
<rect width="${width}" height="${height}" fill="#ffffff"/>
${body.join('\n')}
</svg>
`;
}

/** The data path, with one lane for each thread that runs a part of it. */
function dataPath() {
  const width = 1240;
  const left = 176;
  const lanes = [
    ['DDS threads', 'of the ROS middleware', 'ros', 74],
    ['Main thread', 'JavaScript event loop', 'js', 74],
    ['Thread pool', 'libuv, sharp', 'pool', 74],
    ['Tokenizer thread', 'Node.js worker', 'pool', 74],
    ['Inference thread', 'native, one per engine', 'native', 74],
    ['GPU stream', 'or CPU worker threads', 'gpu', 74],
  ];
  const body = [];
  const tops = [];
  let y = 16;
  for (const [name, note, , height] of lanes) {
    tops.push(y);
    body.push(
      rect(8, y, width - 16, height, tops.length % 2 ? '#f7f9fb' : '#ffffff', { stroke: '#e4e7eb', radius: 0 }),
    );
    body.push(text(20, y + 32, [name], { weight: 'bold' }), text(20, y + 50, [note], { size: 11, colour: MUTED }));
    y += height + 8;
  }
  const height = y + 8;
  const box = (lane, column, columns, lines, fill = lanes[lane][2]) => {
    const x = left + column;
    const top = tops[lane] + 9;
    body.push(rect(x, top, columns, 56, FILLS[fill]));
    body.push(
      text(x + columns / 2, top + (lines.length === 1 ? 33 : 24), lines.slice(0, 1), {
        anchor: 'middle',
        size: 13,
        weight: 'bold',
      }),
    );
    if (lines.length > 1)
      body.push(text(x + columns / 2, top + 41, lines.slice(1), { anchor: 'middle', size: 11, colour: MUTED }));
    return { left: x, right: x + columns, top, bottom: top + 56, middle: x + columns / 2, centre: top + 28 };
  };
  const receive = box(0, 0, 146, ['subscriptions', 'images, joints, prompt']);
  const messages = box(1, 0, 146, ['messages/', 'CDR to plain data']);
  const decode = box(2, 98, 136, ['decode/', 'JPEG, PNG to pixels']);
  const observe = box(1, 206, 138, ['observation/', 'check, align by stamp']);
  const prepare = box(1, 370, 138, ['policy/', 'normalise, prompt']);
  const tokens = box(3, 370, 138, ['tokenizer', 'text to token ids']);
  const engine = box(4, 518, 138, ['engine', 'stage inputs, launch']);
  const model = box(5, 488, 350, ['Pi0.5', 'resize, SigLIP, prefix, 10 flow steps of the action expert']);
  const finish = box(1, 670, 138, ['policy/', 'unnormalise, joints']);
  const schedule = box(1, 826, 104, ['schedule/', 'merge, limits']);
  const out = box(1, 948, 90, ['ros/', 'publish']);
  const send = box(0, 868, 178, ['publishers', 'chunk, commands, diagnostics']);
  body.push(
    arrow([receive.middle, receive.bottom], [messages.middle, messages.top]),
    arrow([messages.right, messages.centre], [observe.left, observe.centre]),
    arrow([messages.left + 40, messages.bottom], [messages.left + 40, decode.centre], [decode.left, decode.centre]),
    arrow([decode.right, decode.centre], [observe.middle + 30, decode.centre], [observe.middle + 30, observe.bottom]),
    arrow([observe.right, observe.centre], [prepare.left, prepare.centre]),
    arrow([prepare.middle - 16, prepare.bottom], [tokens.middle - 16, tokens.top]),
    arrow([tokens.middle + 16, tokens.top], [prepare.middle + 16, prepare.bottom]),
    arrow([prepare.right, prepare.centre], [engine.middle - 30, prepare.centre], [engine.middle - 30, engine.top]),
    arrow([engine.middle - 30, engine.bottom], [engine.middle - 30, model.top]),
    arrow([engine.middle + 30, model.top], [engine.middle + 30, engine.bottom]),
    arrow([engine.right, engine.centre], [finish.middle, engine.centre], [finish.middle, finish.bottom]),
    arrow([finish.right, finish.centre], [schedule.left, schedule.centre]),
    arrow([schedule.right, schedule.centre], [out.left, out.centre]),
    arrow([out.middle, out.top], [out.middle, send.bottom]),
  );
  return svg(width, height, 'The data path from camera messages to commands, one lane for each thread', body);
}

/** One chunk after the other in mode async: observation, inference, the steps dropped, executed and replaced. */
function timeLine() {
  const parameters = parse(readFileSync(new URL('../configs/pi05_droid.yaml', import.meta.url), 'utf8'))['/**']
    .ros__parameters;
  const rate = parameters.control_rate;
  const replan = parameters['schedule.replan_steps'];
  const horizon = 15;
  const latency = 2.4; // control periods; long, so that it can be seen
  const cell = 38;
  const left = 170;
  const ticks = 24;
  const width = left + ticks * cell + 20;
  const at = (tick) => left + tick * cell;
  const rows = { observation: 40, inference: 84, a: 138, b: 188, c: 238, command: 300 };
  const body = [];
  const label = (y, name, note) =>
    body.push(text(16, y + 16, [name], { weight: 'bold' }), text(16, y + 31, [note], { size: 11, colour: MUTED }));
  label(rows.observation, 'Observation', 'the newest aligned set');
  label(rows.inference, 'Inference', 'observation to chunk');
  label(rows.a, 'Chunk A', `${horizon} steps`);
  label(rows.b, 'Chunk B', `${horizon} steps`);
  label(rows.c, 'Chunk C', `${horizon} steps`);
  label(rows.command, 'Commands', 'one each control tick');
  for (let tick = 0; tick <= ticks; tick++) {
    body.push(`<line x1="${at(tick)}" y1="30" x2="${at(tick)}" y2="336" stroke="#e4e7eb"/>`);
  }
  const colours = { A: '#9fc5f0', B: '#a7d8a2', C: '#f3c98b' };
  const executed = [];
  /** One chunk's squares: `from` and `to` are its executed steps, the first of them sent at tick `first`. */
  const chunk = (name, y, first, from, to, known = horizon) => {
    for (let step = 0; step < known; step++) {
      const x = at(first + step - from);
      if (x >= width - 24) break;
      const used = step >= from && step < to;
      body.push(rect(x + 3, y, cell - 6, 32, used ? colours[name] : '#ffffff', { dash: used ? '' : '3 3', radius: 3 }));
      body.push(
        text(x + cell / 2, y + 20, [`${name}${step}`], { anchor: 'middle', size: 11, colour: used ? INK : MUTED }),
      );
      if (used) executed.push([first + step - from, `${name}${step}`, colours[name]]);
    }
  };
  const inference = (name, start) => {
    const x = at(start);
    body.push(`<circle cx="${x}" cy="${rows.observation + 14}" r="7" fill="${colours[name]}" stroke="${LINE}"/>`);
    body.push(`<line x1="${x}" y1="${rows.observation + 21}" x2="${x}" y2="${rows.inference}" stroke="${MUTED}"/>`);
    body.push(rect(x, rows.inference, latency * cell, 30, colours[name], { radius: 3 }));
    body.push(text(x + (latency * cell) / 2, rows.inference + 19, ['latency'], { anchor: 'middle', size: 11 }));
  };
  // Chunk A: nothing was executed while it was computed, so it starts at its step 0.
  const firstA = Math.ceil(0.3 + latency);
  const endA = firstA + replan; // the tick at which the schedule wants the next chunk
  const dropped = Math.ceil(0.3 + latency) - 1;
  const firstB = endA + dropped;
  const endB = firstB + replan - dropped;
  inference('A', 0.3);
  inference('B', endA - 1 + 0.3);
  inference('C', endB - 1 + 0.3);
  chunk('A', rows.a, firstA, 0, replan + dropped);
  chunk('B', rows.b, firstB, dropped, replan + dropped);
  chunk('C', rows.c, endB + dropped, dropped, horizon);
  for (const [tick, name, colour] of executed) {
    if (at(tick + 1) > width) continue;
    body.push(rect(at(tick) + 3, rows.command, cell - 6, 32, colour, { radius: 3 }));
    body.push(text(at(tick) + cell / 2, rows.command + 20, [name], { anchor: 'middle', size: 11 }));
  }
  const note = (x, y, lines) => body.push(text(x, y, lines, { size: 12, colour: MUTED }));
  note(at(0) + 4, rows.command + 58, [
    `pi05_droid: control_rate ${rate} Hz (one square is ${(1000 / rate).toFixed(0)} ms), replan_steps ${replan}, horizon ${horizon}, mode async. ` +
      `Latency is drawn as ${latency} periods.`,
    `After step ${replan - 1} of a chunk the next inference starts; execution goes on meanwhile. On arrival the steps whose time has passed are dropped (dashed, left),`,
    'and the rest of the chunk before is replaced (dashed, right). If no chunk arrives before the last step, the robot holds (COMMAND_STARVED).',
  ]);
  return svg(width, rows.command + 112, 'Observation, inference, chunks and commands on one time line', body);
}

const DIAGRAMS = { 'data-path.svg': dataPath, 'time-line.svg': timeLine };
let stale = 0;
for (const [name, draw] of Object.entries(DIAGRAMS)) {
  const file = new URL(`images/${name}`, import.meta.url);
  if (!process.argv.includes('--check')) writeFileSync(file, draw());
  else if (readFileSync(file, 'utf8') !== draw()) {
    process.stderr.write(
      `Expected docs/images/${name} as docs/diagrams.mjs draws it, received another: run node docs/diagrams.mjs\n`,
    );
    stale++;
  }
}
process.exitCode = stale === 0 ? 0 : 1;

/// <reference lib="dom" />
import type UPlot from 'uplot';

/** What surrounds a chart: its caption, and the tip at the pointer. */

const tip = document.querySelector<HTMLElement>('.tip')!;

export function addFigure(parent: Element, title: string, detail: string): { box: HTMLElement; caption: HTMLElement } {
  const box = document.createElement('figure');
  const caption = document.createElement('figcaption');
  const [name, description] = [document.createElement('b'), document.createElement('span')];
  name.textContent = title;
  description.textContent = detail;
  caption.append(name, description);
  box.append(caption);
  parent.append(box);
  return { box, caption };
}

/** Shows a tip at the pointer. @param contentAt gets the pointer's x in the plot area, CSS pixels; undefined = no tip. */
export function addTip(plot: UPlot, contentAt: (x: number) => (Node | string)[] | undefined): void {
  plot.over.addEventListener('pointermove', ({ clientX, clientY }) => {
    const content = contentAt(clientX - plot.over.getBoundingClientRect().left);
    tip.hidden = content === undefined;
    if (content === undefined) return;
    tip.replaceChildren(...content);
    const left = Math.min(clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(0, left)}px`;
    tip.style.top = `${clientY + 18}px`;
  });
  plot.over.addEventListener('pointerleave', () => {
    tip.hidden = true;
  });
}

/** The item with the smallest distance. */
export function nearest<T>(items: readonly T[], distance: (item: T) => number): T | undefined {
  return items.toSorted((a, b) => distance(a) - distance(b))[0];
}

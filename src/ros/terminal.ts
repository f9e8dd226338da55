interface Stream {
  readonly isTTY?: boolean;
  readonly _handle?: { setBlocking(blocking: boolean): number };
}

/**
 * A terminal that is not read (Ctrl-S, a stalled ssh connection) does not block this process: what it cannot take is dropped,
 * from Node.js and from rcl. Node.js does that for pipes and sockets, but makes writes to a terminal wait.
 */
export function dropOutputWhenTerminalBlocks(streams: readonly Stream[] = [process.stdout, process.stderr]): void {
  for (const { isTTY, _handle } of streams) {
    if (isTTY === true) _handle?.setBlocking(false);
  }
}

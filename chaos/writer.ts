// Somebody who changes one flag again and again, and records how long he could not.

export interface WriterRecord {
  accepted: number;
  /** Answered, and nothing was written. */
  refused: number;
  /** Answered so, or not answered. */
  unknown: number;
  readonly reasons: string[];
}

export interface Writer {
  /** Resolves when this many more were accepted. */
  accepted(count: number): Promise<void>;
  /** The longest time without an accepted write since this was last asked, in milliseconds. */
  longestGapMs(): number;
  stop(): Promise<WriterRecord>;
}

/** Between a write's answer and the next one. */
const THINK_MS = 20;

export function startWriter(port: number, key: string, flagId: string): Writer {
  const record: WriterRecord = { accepted: 0, refused: 0, unknown: 0, reasons: [] };
  let stopping = false;
  let lastAcceptedMs = performance.now();
  let longestMs = 0;

  async function write(i: number): Promise<void> {
    const reply = await fetch(`http://127.0.0.1:${port}/api/v1/flags/${flagId}`, {
      method: 'PATCH',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ rollout_percentage: (i % 10_000) / 100 }),
    });
    const text = await reply.text();
    if (reply.status === 200) {
      const now = performance.now();
      longestMs = Math.max(longestMs, now - lastAcceptedMs);
      lastAcceptedMs = now;
      record.accepted++;
      return;
    }
    const code = (JSON.parse(text) as { code?: string }).code ?? String(reply.status);
    if (code === 'OUTCOME_UNKNOWN') record.unknown++;
    else record.refused++;
    note(code);
  }

  function note(reason: string): void {
    if (record.reasons.length < 5 && !record.reasons.includes(reason)) record.reasons.push(reason);
  }

  async function run(): Promise<void> {
    for (let i = 1; !stopping; i++) {
      try {
        await write(i);
      } catch (error) {
        record.unknown++;
        note(String((error as { cause?: unknown }).cause ?? error));
      }
      await new Promise((resolve) => setTimeout(resolve, THINK_MS));
    }
  }

  const running = run();
  return {
    async accepted(count) {
      const target = record.accepted + count;
      while (record.accepted < target) await new Promise((resolve) => setTimeout(resolve, THINK_MS));
    },
    longestGapMs() {
      const longest = Math.max(longestMs, performance.now() - lastAcceptedMs);
      longestMs = 0;
      return longest;
    },
    async stop() {
      stopping = true;
      await running;
      return record;
    },
  };
}

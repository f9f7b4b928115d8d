/** What is known of a row when a batch is put together. */
export interface Candidate {
  /** A bigint as text. */
  readonly id: string;
  readonly stream: string;
  readonly priority: number;
  /** Waits for no earlier row of its stream: it was refused before, or asked to be delivered later. */
  readonly apart: boolean;
  /** Roughly, as it is stored. */
  readonly bytes: number;
}

export interface PickOptions {
  readonly limit: number;
  /** A batch has one row at least, however large. */
  readonly maxBytes: number;
  readonly ordering: 'stream' | 'none';
  /** Whether an earlier row of its stream may be there that is not among the candidates: then it is passed over. */
  readonly mayFollow: (candidate: Candidate, rank: number) => boolean;
}

/**
 * Which rows make the next batch: a quarter of it are the oldest, so that nothing starves, and the rest are those of the
 * highest priority. A row counts for no more than the rows of its stream before it, so that it never overtakes one.
 * `candidates` are in the order of their ids, as are those that come back; the oldest are among them, and none that is
 * held back.
 */
export function pick<Each extends Candidate>(
  candidates: readonly Each[],
  { limit, maxBytes, ordering, mayFollow }: PickOptions,
): readonly Each[] {
  const oldest = firstOf(candidates, Math.ceil(limit / 4), maxBytes / 4);
  const ranked: { readonly candidate: Each; readonly rank: number; readonly place: number }[] = [];
  const ranks = new Map<string, number>();
  for (const [place, candidate] of candidates.entries()) {
    const { stream, priority, apart } = candidate;
    if (apart || ordering === 'none') {
      ranked.push({ candidate, rank: priority, place });
      continue;
    }
    const before = ranks.get(stream) ?? Number.POSITIVE_INFINITY;
    const atMost = Math.min(before, priority);
    const rank = place < oldest.length || !mayFollow(candidate, atMost) ? atMost : nothing;
    ranks.set(stream, rank);
    if (rank !== nothing) ranked.push({ candidate, rank, place });
  }
  ranked.sort((a, b) => b.rank - a.rank || a.place - b.place);
  const others = ranked.flatMap(({ candidate, place }) => (place < oldest.length ? [] : [candidate]));
  const chosen = new Set(firstOf([...oldest, ...others], limit, maxBytes));
  return candidates.filter((candidate) => chosen.has(candidate));
}

/** As many from the beginning as both bounds allow, one at least. */
function firstOf<Each extends Candidate>(
  candidates: readonly Each[],
  limit: number,
  maxBytes: number,
): readonly Each[] {
  let total = 0;
  const end = candidates.findIndex(({ bytes }, place) => {
    total += bytes;
    return place >= limit || (place > 0 && total > maxBytes);
  });
  return end === -1 ? candidates : candidates.slice(0, end);
}

/** The rank of what stands behind a row that cannot be taken. */
const nothing = Number.NEGATIVE_INFINITY;

/** A pack as a prune sees it. Bytes are those of sealed blobs. */
export interface PackUse {
  name: string;
  type: 'data' | 'tree' | 'mixed';
  usedBytes: number;
  unusedBytes: number;
}

export interface PrunePlan {
  /** Nothing in it is needed. */
  remove: string[];
  /** What is needed of it is written into new packs, then it is removed. */
  repack: string[];
  keep: string[];
  /** What stays although nobody needs it, bytes. */
  unusedAfterBytes: number;
}

/**
 * What to do with each pack, so that at most `maxUnusedPercent` of what is kept is of no use. Packs with the largest
 * share of waste come first: each byte read and written again then frees the most. Packs that mix trees with data, as
 * early versions of restic wrote them, are always taken apart.
 */
export function planPrune(packs: readonly PackUse[], maxUnusedPercent: number): PrunePlan {
  const plan: PrunePlan = { remove: [], repack: [], keep: [], unusedAfterBytes: 0 };
  const partly: PackUse[] = [];
  let usedBytes = 0;
  for (const pack of packs) {
    usedBytes += pack.usedBytes;
    if (pack.usedBytes === 0) plan.remove.push(pack.name);
    else if (pack.type === 'mixed') plan.repack.push(pack.name);
    else if (pack.unusedBytes === 0) plan.keep.push(pack.name);
    else partly.push(pack);
  }
  // Unused bytes may be p percent of everything: u <= p/100 (used + u).
  const share = Math.min(maxUnusedPercent, 99.999) / 100;
  const allowed = (usedBytes * share) / (1 - share);
  let unused = partly.reduce((bytes, pack) => bytes + pack.unusedBytes, 0);
  for (const pack of partly.toSorted((a, b) => wasteOf(b) - wasteOf(a))) {
    if (unused > allowed) {
      plan.repack.push(pack.name);
      unused -= pack.unusedBytes;
    } else plan.keep.push(pack.name);
  }
  plan.unusedAfterBytes = unused;
  return plan;
}

const wasteOf = ({ usedBytes, unusedBytes }: PackUse): number => unusedBytes / (usedBytes + unusedBytes);

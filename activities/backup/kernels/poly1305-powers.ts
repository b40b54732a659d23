/**
 * Numbers modulo 2^130 - 5 in ten signed digits of 13 bits, and the table of the powers of r that the kernel of
 * Poly1305 multiplies message blocks with.
 */
type Digits = readonly number[];

export const digitCount = 10;
const digitBits = 13;
const half = 2 ** (digitBits - 1);

/** Powers in the table: blocks that the kernel takes between two reductions. */
export const powerCount = 125;
/**
 * One power r^n in the table: for each digit the eight numbers by which the 16-bit words of a block contribute to it;
 * then, in limbs of 26 bits, r^n 2^128 and what is added for n blocks.
 */
export const powerBytes = 208;
export const highOffset = digitCount * 16;
export const addendOffset = highOffset + 20;
export const tableBytes = powerCount * powerBytes;

const zero: Digits = Array<number>(digitCount).fill(0);
const one: Digits = zero.with(0, 1);
/** Words are signed for the kernel: 2^15 less than they are. This is what a block lacks then, and without its 2^128. */
const wordBias = digitsOf([1, 1, 1, 1, 1, 1, 1, 1].map(() => 0x8000));
const blockBias = add(wordBias, digitsOf([0, 0, 0, 0, 0, 0, 0, 0, 1]));

/** Fills the table, the highest power first, and only as far as it is needed: short messages need few powers. */
export interface Powers {
  /** Begins again with another r, 16 bytes, clamped here (RFC 8439 §2.5). */
  begin(r: Uint8Array): void;
  /** Sees to it that r^1 to r^n are there; `n` is at most `powerCount`. */
  need(n: number): void;
}

export function createPowers(table: Uint8Array<ArrayBuffer>): Powers {
  const view = new DataView(table.buffer, table.byteOffset, tableBytes);
  let [base, power, sum] = [one, one, zero];
  let made = 0;
  return {
    begin(r) {
      base = digitsOf(clampedWords(r));
      [power, sum, made] = [one, zero, 0];
    },
    need(n) {
      for (; made < n; made += 1) {
        power = multiply(power, base);
        sum = add(sum, power);
        const addend = add(multiply(blockBias, sum), multiply(wordBias, power));
        writePower(view, (powerCount - made - 1) * powerBytes, { power, addend });
      }
    },
  };
}

function writePower(view: DataView, at: number, { power, addend }: { power: Digits; addend: Digits }): void {
  let shifted = power;
  for (let word = 0; word < 8; word += 1) {
    shifted.forEach((digit, k) => view.setInt16(at + k * 16 + word * 2, digit, true));
    shifted = timesWord(shifted);
  }
  for (let limb = 0; limb < digitCount / 2; limb += 1) {
    view.setInt32(at + highOffset + limb * 4, limbOf(shifted, limb), true);
    view.setInt32(at + addendOffset + limb * 4, limbOf(addend, limb), true);
  }
}

function limbOf(digits: Digits, limb: number): number {
  return (digits[limb * 2] as number) + (digits[limb * 2 + 1] as number) * 2 ** digitBits;
}

function clampedWords(r: Uint8Array): number[] {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) {
    const low = (r[i] as number) & (i % 4 === 0 && i > 0 ? 0xfc : 0xff);
    const high = (r[i + 1] as number) & (i % 4 === 2 ? 0x0f : 0xff);
    words.push(low | (high << 8));
  }
  return words;
}

/** @param words of 16 bits, least significant first */
function digitsOf(words: readonly number[]): Digits {
  return words.reduceRight<Digits>((digits, word) => {
    const [first = 0, ...others] = timesWord(digits);
    return carried([first + word, ...others]);
  }, zero);
}

function add(a: Digits, b: Digits): Digits {
  return carried(a.map((digit, k) => digit + (b[k] as number)));
}

/** Times 2^16: by one digit and three bits. */
function timesWord(digits: Digits): Digits {
  const [last = 0, ...others] = digits.toReversed();
  return carried([last * 5, ...others.reverse()].map((digit) => digit * 8));
}

function multiply(a: Digits, b: Digits): Digits {
  const product = a.map((_, k) => {
    let sum = 0;
    for (let i = 0; i < digitCount; i += 1) {
      // 2^130 is 5.
      const term = (a[i] as number) * (b[(k - i + digitCount) % digitCount] as number);
      sum += i <= k ? term : 5 * term;
    }
    return sum;
  });
  return carried(product);
}

/** Brings digits of up to 2^31 to at most 2^12 on either side of 0 (the lowest may pass that by 5). */
function carried(digits: number[]): Digits {
  for (let round = 0; round < 2; round += 1) {
    let carry = 0;
    for (let k = 0; k < digitCount; k += 1) {
      const digit = (digits[k] as number) + carry;
      carry = (digit + half) >> digitBits;
      digits[k] = digit - carry * 2 ** digitBits;
    }
    digits[0] = (digits[0] as number) + carry * 5;
  }
  return digits;
}

/**
 * Sentences of a text that is being typed, as near to the server's own as a page has to know them.
 *
 * A full stop after one letter, a number or a title ends none: `J. Doe`, German `3. Mai`, `Dr. Doe`.
 */

// Behind their own kind neither marks nor spaces begin a break: long rows of them would be looked through from each.
const BREAK =
  /(?<![.!?…؟۔।॥])(?<stop>[.!?…؟۔।॥]+)[\p{Pe}\p{Pf}"'’]*\s+|[。！？]+[\p{Pe}\p{Pf}]*\s*|(?<!\s)\s*\n\s*/gu;
const NO_END = /(?<![\p{L}\p{N}])(?:\p{L}|\p{N}{1,3}|Mrs?|Ms|Dr|Prof|St|Nr|vs|bzw|ca|Mme|Mlle)$/u;
const BEGINNING = /^[^\p{L}\p{N}\s]*[\p{Lu}\p{Lt}\p{Lo}\p{N}]/u;

/**
 * Where the sentence with a place ends, so that the next one begins there, as far as that is certain: the beginning of
 * the next, with its capital letter where the script has any, is what shows it. Null as long as it is not.
 * @param {string} text
 * @param {number} place in UTF-16 code units
 */
export function sentenceEnd(text, place) {
  return breaksOf(text, place).find((end) => BEGINNING.test(text.slice(end, end + 8))) ?? null;
}

/**
 * Where the sentence begins that a place is in, by its marks alone: a person may write without capital letters.
 * @param {string} text
 * @param {number} place in UTF-16 code units
 */
export const sentenceStart = (text, place) => breaksOf(text.slice(0, place), 0).at(-1) ?? 0;

/**
 * The places behind marks, and the space after them, that can end a sentence.
 * @param {string} text
 * @param {number} from
 */
function breaksOf(text, from) {
  return [...text.slice(from).matchAll(BREAK)]
    .map(({ 0: { length }, index, groups }) => ({
      begin: from + index,
      length,
      isFull: groups?.stop === ".",
    }))
    .filter(({ begin, isFull }) => !isFull || !NO_END.test(text.slice(Math.max(0, begin - 8), begin)))
    .map(({ begin, length }) => begin + length);
}

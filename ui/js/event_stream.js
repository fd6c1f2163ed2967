/** Server-sent events whose data is JSON, read from bytes as they arrive. */

/** Turns bytes that come in pieces of any length into the JSON of whole events. */
export class EventStreamReader {
  #decoder = new TextDecoder();
  #rest = "";

  /**
   * The data of the events that are whole now; the beginning of one is kept for the next call.
   * @param {Uint8Array} bytes
   * @returns {any[]}
   */
  read(bytes) {
    const blocks = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks
      .map(dataOf)
      .filter(Boolean)
      .map((data) => JSON.parse(data));
  }
}

/** @param {string} block the lines of an event; comments and other fields mean nothing here */
function dataOf(block) {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice("data:".length).trim()).join("\n");
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function bytesOfBase64(text) {
  const { fromBase64 } = /** @type {{ fromBase64?: (text: string) => Uint8Array }} */ (Uint8Array);
  if (fromBase64) return fromBase64.call(Uint8Array, text);
  const chars = atob(text); // browsers from before September 2025
  const bytes = new Uint8Array(chars.length);
  for (let i = 0; i < chars.length; i++) bytes[i] = chars.charCodeAt(i);
  return bytes;
}

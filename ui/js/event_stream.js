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

/** @param {string} text */
export const bytesOfBase64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

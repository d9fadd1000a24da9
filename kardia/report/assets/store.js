// The data of the page: a small summary, an index by columns, and texts in compressed chunks that are inflated when
// they are wanted.
kardia.store = (() => {
  const KEPT = 48; // inflated chunks that are kept: about 256 KiB of text each
  const LEVEL_0 = 48;
  const WITHOUT = { "!": "unscored", '"': "abstained", "#": "not applicable" };
  const STATUSES = ["scored", "unscored", "abstained", "not applicable"];
  const CARD_STATUSES = ["scored", "partial", "unscored"];

  const store = { STATUSES, CARD_STATUSES, WITHOUT, summary: null, index: null };
  const kept = new Map();

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
    return bytes;
  };

  const textOf = (packed) =>
    new Response(new Blob([bytesOf(packed)]).stream().pipeThrough(new DecompressionStream("gzip"))).text();

  const inflate = async (packed) => JSON.parse(await textOf(packed));

  store.open = async () => {
    store.summary = JSON.parse(kardia.dom.byId("summary").textContent);
    store.index = await inflate(kardia.dom.byId("index").textContent);
    store.index.vetoes = new Map(Object.entries(store.index.vetoes).map(([at, found]) => [Number(at), found]));
  };

  const allRead = new Promise((done) => {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", done, { once: true });
    else done();
  });
  const chunks = document.getElementsByClassName("texts");

  store.chunks = () => store.index.starts.length;

  const packedChunk = async (number) => {
    if (chunks.length <= number + 1) await allRead; // the last one that is there may be half read
    return chunks[number].textContent;
  };

  // the records of one chunk as lines of JSON, for a search
  store.lines = async (number) => (await textOf(await packedChunk(number))).slice(1, -1).split(",\n");

  const chunk = async (number) => {
    if (kept.has(number)) {
      const found = kept.get(number);
      kept.delete(number);
      kept.set(number, found); // the latest is the last to go
      return found;
    }
    const found = await inflate(await packedChunk(number));
    kept.set(number, found);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return found;
  };

  store.record = async (card) => {
    const { starts } = store.index;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= card) low = middle;
      else high = middle - 1;
    }
    return (await chunk(low))[card - starts[low]];
  };

  store.seriesOf = (card) => (store.index.series ? store.index.series[card] : 0);

  store.signOf = (series, criterion, wanted) => {
    const without = Object.keys(WITHOUT).find((sign) => WITHOUT[sign] === wanted.slice(1));
    if (wanted.startsWith("!") && without) return without;
    const place = store.summary.series[series].criteria[criterion].levels.indexOf(wanted.slice(1));
    return String.fromCharCode(LEVEL_0 + place);
  };

  return store;
})();

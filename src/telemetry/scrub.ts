/**
 * The last look at a line before it leaves: masks what has the shape of a credential, wherever it came from.
 *
 *   redis://user:secret@host        → redis://user:***@host        (up to the last @, as unescaped passwords hold / and #)
 *   password=secret, "token":"…"    → password=***, "token":"***"
 *   Bearer eyJhbGciOi…              → Bearer ***
 *
 * Works on the finished line of JSON and leaves it valid: no mask takes a quote, or half of an escape. Every repetition
 * is bounded, so the time grows with the length of the line only.
 */
export function scrub(line: string): string {
  if (!suspicious.test(line)) return line;
  return line.replace(credentialsInUrl, '$1:***@').replace(namedSecret, '$1***').replace(scheme, '$1 ***');
}

const suspicious = /:\/\/|pass|pwd|secret|token|key|bearer|authorization/i;

const credentialsInUrl = /(:\/\/[^\s/?#:@"\\]{0,256}):(?:[^\s"\\]|\\.){0,512}@/g;

const names = '(?:password|passwd|passphrase|pwd|secret|token|api[_-]?key|(?:access|private)[_-]?key|requirepass)';
const quote = String.raw`(?:\\{0,7}["'])?`;
/** A name that ends so, then `=` or `:`, with or without quotes (of JSON within JSON too), then the value. */
const namedSecret = new RegExp(String.raw`(${names}${quote}\s{0,3}[=:]\s{0,3}${quote})[^\s"'\\&;,})\]]{1,512}`, 'gi');

const scheme = /\b(bearer|authorization\W{1,6}\w{1,16})\s{1,3}[\w.~+/=-]{6,4096}/gi;

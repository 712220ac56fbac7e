/** Takes passwords out of text that may be shown: connection strings, archive URLs, and messages that quote them. */

const hidden = '***'

/** The text with the passwords of URLs and of `password=` settings replaced by `***`. */
export function redact(text: string): string {
  return text
    .replace(/([A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s/@:]*):[^\s/]*@/g, `$1:${hidden}@`)
    .replace(/((?:pass(?:word|phrase)?|secret|token)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&'"]+)/gi, `$1${hidden}`)
}

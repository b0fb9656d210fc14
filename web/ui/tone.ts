/** How a notice sounds; in a file without markup, so that rules about texts need no browser. */
export type Tone = 'arrived' | 'coming' | 'held' | 'refused'

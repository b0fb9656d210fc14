import { gzipSync } from 'node:zlib'
import type { Plugin, Rollup } from 'vite'

type Bundle = Rollup.OutputBundle
type Chunk = Rollup.OutputChunk

/**
 * Weighs what a customer's browser fetches before it shows the first page, prints it, and refuses the build when it is too much.
 *
 * What counts: script and style, gzip, as the server sends them, for whichever of `pages` needs more: the entry with everything that
 * it imports at once, and the page's own part where that is loaded apart. Fonts are printed beside it: the text is there before them.
 * Unit: bytes; 1 kB is 1,000 of them.
 */
export function firstLoad({ pages, bytesMax }: { pages: string[]; bytesMax: number }): Plugin {
  return {
    name: 'first-load',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
      const entries = chunks.filter((chunk) => chunk.isEntry)
      const weights = pages.map((page) => {
        const own = chunks.find((chunk) => chunk.moduleIds.some((id) => id.endsWith(page)))
        if (!own) throw new Error(`The first load cannot be weighed: nothing that was built holds ${page}.`)
        const fetched = filesOf([...entries, own], bundle)
        return [...fetched].reduce((sum, name) => sum + gzipSync(contentOf(bundle[name]!)).byteLength, 0)
      })
      const heaviest = Math.max(...weights)
      const fonts = Object.values(bundle)
        .filter((file) => /-latin-(wght|standard).*\.woff2$/.test(file.fileName))
        .reduce((sum, file) => sum + contentOf(file).byteLength, 0)
      const said = `First load: ${kB(heaviest)} kB of script and style (gzip, at most ${kB(bytesMax)} kB)`
      if (heaviest > bytesMax)
        throw new Error(`${said}. Load what it does not need at once by lazyRouteComponent, or leave it out.`)
      process.stdout.write(`${said}, and ${kB(fonts)} kB of fonts\n`)
    },
  }
}

/** The chunks with all that they import at once, and their styles. */
function filesOf(first: Chunk[], bundle: Bundle): Set<string> {
  const files = new Set<string>()
  const left = [...first]
  for (let chunk = left.pop(); chunk; chunk = left.pop()) {
    if (files.has(chunk.fileName)) continue
    files.add(chunk.fileName)
    for (const style of chunk.viteMetadata?.importedCss ?? []) files.add(style)
    for (const name of chunk.imports) {
      const imported = bundle[name]
      if (imported?.type === 'chunk') left.push(imported)
    }
  }
  return files
}

function contentOf(file: Bundle[string]): Buffer {
  return Buffer.from(file.type === 'chunk' ? file.code : file.source)
}

function kB(bytes: number): string {
  return (bytes / 1000).toFixed(1).replace(/\.0$/, '')
}

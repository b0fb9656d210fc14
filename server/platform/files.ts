/**
 * The built pages, read once at the start and answered from memory: a request can name nothing but what is in the list, so there is no
 * path to leave the folder by.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Context } from 'hono'

const FILES_MAX = 1_000
const COMPRESS_BYTES_MIN = 1_024

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
}
const compressible = /^(text\/|application\/|image\/svg)/

type File = {
  type: string
  body: Buffer<ArrayBuffer>
  gzip: Buffer<ArrayBuffer> | null
  etag: string
  cacheControl: string
}

export type Files = ReturnType<typeof readFiles>

/** `hashedUnder`: what lies under this folder has its hash in its name and may be kept by browsers for good. */
export function readFiles(folder: string, hashedUnder: string) {
  const files = new Map<string, File>()
  for (const name of list(folder).slice(0, FILES_MAX)) {
    const path = `/${name.split(sep).join('/')}`
    const body = Buffer.from(readFileSync(join(folder, name)))
    const type = types[extname(name)] ?? 'application/octet-stream'
    const compress = compressible.test(type) && body.byteLength >= COMPRESS_BYTES_MIN
    files.set(path, {
      type,
      body,
      gzip: compress ? Buffer.from(gzipSync(body)) : null,
      etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
      cacheControl: path.startsWith(hashedUnder) ? 'public, max-age=31536000, immutable' : 'no-cache',
    })
  }

  return {
    /** Null: there is no such file. */
    answer(c: Context, path: string): Response | null {
      const file = files.get(path)
      if (!file) return null
      c.header('content-type', file.type)
      c.header('cache-control', file.cacheControl)
      c.header('etag', file.etag)
      c.header('vary', 'accept-encoding')
      if (c.req.header('if-none-match') === file.etag) return c.body(null, 304)
      if (file.gzip && /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) {
        c.header('content-encoding', 'gzip')
        return c.body(file.gzip)
      }
      return c.body(file.body)
    },
  }
}

/** Nothing, where the folder is not there: the pages were not built. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return []
    throw error
  }
}

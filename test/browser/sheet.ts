/** Many pictures on one sheet, small enough to keep. */
import type { Page } from '@playwright/test'

export type Shot = {
  png: Buffer
  /** As wide as the page was. Unit: px. */
  width: number
  /** What stands over it. */
  say: string
  /** Drawn without its colours, as a printer without colour does, and as some people see. */
  grey?: boolean
}

/** Drawn at this share of its size. */
const SCALE = 0.5
const GAP = 24
const WORDS = 28
const QUALITY = 0.5

/** The pictures beside each other, each under its words, as WebP. `table`: an empty page that does the drawing. */
export async function drawSheet(table: Page, shots: Shot[]): Promise<Buffer> {
  const given = shots.map(({ png, say, grey }) => ({
    url: `data:image/png;base64,${png.toString('base64')}`,
    say,
    grey,
  }))
  const drawn = await table.evaluate<string>(
    `(${DRAW})(${JSON.stringify(given)}, ${JSON.stringify({ SCALE, GAP, WORDS, QUALITY })})`,
  )
  return Buffer.from(drawn.slice(drawn.indexOf(',') + 1), 'base64')
}

const DRAW = `async (given, { SCALE, GAP, WORDS, QUALITY }) => {
  const images = await Promise.all(given.map(({ url }) => new Promise((resolve, reject) => {
    const image = new Image()
    image.onload = () => resolve(image)
    image.onerror = reject
    image.src = url
  })))
  const widths = images.map((image) => Math.round(image.width * SCALE))
  const canvas = document.createElement('canvas')
  canvas.width = widths.reduce((sum, width) => sum + width + GAP, GAP)
  canvas.height = Math.round(Math.max(...images.map((image) => image.height * SCALE))) + WORDS + 2 * GAP
  const pen = canvas.getContext('2d')
  pen.fillStyle = '#808985'
  pen.fillRect(0, 0, canvas.width, canvas.height)
  pen.imageSmoothingQuality = 'high'
  let x = GAP
  images.forEach((image, index) => {
    pen.fillStyle = '#000'
    pen.font = '500 16px sans-serif'
    pen.filter = 'none'
    pen.fillText(given[index].say, x, GAP + 14)
    pen.filter = given[index].grey ? 'grayscale(1)' : 'none'
    pen.drawImage(image, x, GAP + WORDS, widths[index], Math.round(image.height * SCALE))
    x += widths[index] + GAP
  })
  return canvas.toDataURL('image/webp', QUALITY)
}`

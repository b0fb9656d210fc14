import { encode } from 'uqr'

/** Unit: modules. Source: ISO/IEC 18004. */
const QUIET = 4

/** A QR code: black on white in the dark, too, because cameras want it so. `named` says what it holds. */
export function Qr({ text, named }: { text: string; named: string }) {
  const { data, size } = encode(text, { ecc: 'M', border: QUIET })
  return (
    <svg
      role="img"
      aria-label={named}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      className="size-code shrink-0 bg-code-paper text-code forced-color-adjust-none"
    >
      <path d={drawn(data)} fill="currentColor" />
    </svg>
  )
}

/** One path over all dark modules, each run of them in a row as one box. */
function drawn(rows: boolean[][]): string {
  let path = ''
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < row.length; x += 1) {
      if (!row[x]) continue
      const from = x
      while (row[x + 1]) x += 1
      path += `M${from} ${y}h${x - from + 1}v1h-${x - from + 1}z`
    }
  }
  return path
}

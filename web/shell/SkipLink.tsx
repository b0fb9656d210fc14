/** The first thing that Tab reaches on every page. */
export function SkipLink() {
  return (
    <a
      href="#main"
      className="sr-only rounded-control bg-ink text-paper focus:not-sr-only focus:fixed focus:top-8 focus:left-8 focus:z-20 focus:px-12 focus:py-8"
    >
      To the content
    </a>
  )
}

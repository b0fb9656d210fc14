/** A mark that is on or off; `named` says to whom cannot see it what is marked. */
export function Star({ on, named, press }: { on: boolean; named: string; press: () => void }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      aria-label={named}
      onClick={press}
      className="inline-flex min-h-target min-w-target items-center justify-center rounded-control text-quiet transition-colors hover:text-ink aria-pressed:text-ink"
    >
      <svg viewBox="0 0 16 16" aria-hidden="true" className="size-16" fill={on ? 'currentColor' : 'none'}>
        <path
          d="m8 1.8 1.9 4 4.3.6-3.1 3 .8 4.3L8 11.6l-3.9 2.1.8-4.3-3.1-3 4.3-.6z"
          stroke="currentColor"
          strokeWidth="1.25"
          strokeLinejoin="round"
        />
      </svg>
    </button>
  )
}

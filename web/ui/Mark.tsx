/** What a mark says. The shape carries it; colour only repeats it. */
export type MarkState = 'done' | 'waiting' | 'to_come' | 'overdue' | 'cannot'

const words: Record<MarkState, string> = {
  done: 'Done',
  waiting: 'Waiting',
  to_come: 'Still to come',
  overdue: 'Overdue',
  cannot: 'Cannot happen',
}

const colours: Record<MarkState, string> = {
  done: 'text-ink',
  waiting: 'text-held',
  to_come: 'text-edge',
  overdue: 'text-held',
  cannot: 'text-quiet',
}

/** `silent`: it only repeats what stands beside it, in the colour of that. */
export function Mark({ state, silent = false }: { state: MarkState; silent?: boolean }) {
  return (
    <svg
      viewBox="0 0 16 16"
      className={`size-[1em] shrink-0 ${silent ? '' : colours[state]}`}
      fill="none"
      stroke="currentColor"
      role="img"
      aria-label={words[state]}
      aria-hidden={silent}
    >
      {shape(state)}
    </svg>
  )
}

function shape(state: MarkState) {
  switch (state) {
    case 'done':
      return <circle cx="8" cy="8" r="5.5" fill="currentColor" strokeWidth="1.5" />
    case 'waiting':
      return (
        <>
          <circle cx="8" cy="8" r="5.5" strokeWidth="1.5" />
          <path d="M8 2.5a5.5 5.5 0 0 0 0 11z" fill="currentColor" stroke="none" />
        </>
      )
    case 'to_come':
      return <circle cx="8" cy="8" r="5.5" strokeWidth="1.5" />
    case 'overdue':
      return (
        <>
          <circle cx="8" cy="8" r="5.5" strokeWidth="1.5" />
          <path d="M5 8h6" strokeWidth="1.5" />
        </>
      )
    case 'cannot':
      return <path d="m3.5 3.5 9 9m0-9-9 9" strokeWidth="1.75" />
  }
}

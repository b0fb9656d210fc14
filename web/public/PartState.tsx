import type { Status } from '../../contract/contract.ts'
import { Mark, type MarkState } from '../ui/Mark.tsx'
import { Time } from '../ui/Time.tsx'

type Part = Status['parts'][number]

const states: Record<Part['state'], { mark: MarkState; word: string; colour: string }> = {
  works: { mark: 'done', word: 'Works', colour: 'text-arrived' },
  trouble: { mark: 'overdue', word: 'Trouble', colour: 'text-refused' },
  not_known: { mark: 'to_come', word: 'Not known', colour: 'text-quiet' },
}

/** How a part of the house stands: mark and word, what was seen, and when it was last seen to work. */
export function PartState({ part }: { part: Part }) {
  const { mark, word, colour } = states[part.state]
  return (
    <p className="flex gap-12">
      <span className={`flex h-[1lh] items-center ${colour}`}>
        <Mark state={mark} silent />
      </span>
      <span className="min-w-0 flex-1">
        <span className={`font-medium ${colour}`}>{word}.</span> {part.detail}{' '}
        {part.last_worked_at && (
          <span className="text-quiet">
            Last seen working: <Time at={part.last_worked_at} />.
          </span>
        )}
      </span>
    </p>
  )
}

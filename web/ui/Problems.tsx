import { linkClass } from './Button.tsx'
import { Notice } from './Notice.tsx'

export type Problem = {
  /** The id of the field, where it is about one. */
  field: string | null
  text: string
}

/** What keeps a form from being done, all together, above it. It takes the focus; each line leads to its field. */
export function Problems({
  lead,
  problems,
  requestId = null,
}: {
  lead: string
  problems: Problem[]
  requestId?: string | null
}) {
  return (
    <Notice tone="refused" takesFocus requestId={requestId}>
      <p className="font-medium">{lead}</p>
      <ul className="mt-4 grid gap-4">
        {problems.map((problem) => (
          <li key={problem.text}>
            {problem.field === null ? (
              problem.text
            ) : (
              <a
                href={`#${problem.field}`}
                className={linkClass}
                onClick={(event) => {
                  event.preventDefault()
                  document.getElementById(problem.field!)?.focus()
                }}
              >
                {problem.text}
              </a>
            )}
          </li>
        ))}
      </ul>
    </Notice>
  )
}

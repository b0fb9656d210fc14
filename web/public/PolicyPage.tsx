import { Link, useLocation, useMatch } from '@tanstack/react-router'
import { type Policy, policies } from '../../contract/policies.ts'
import { readPolicySearch } from '../paths.ts'
import { NotFound } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Passages, Prose } from '../shell/Prose.tsx'
import { linkClass } from '../ui/Button.tsx'
import { EdgeText } from '../ui/Edge.tsx'
import { longDay } from '../ui/times.ts'

/** One of the four policies, in the version that the address names, else in the one that is in force. */
export function PolicyPage() {
  const { pathname } = useLocation()
  const { version: wanted } = useMatch({ strict: false, select: (match) => readPolicySearch(match.search) })
  const policy = policies.find((each) => each.path === pathname.replace(/\/$/, ''))
  const text = policy?.versions.find(({ version }, index) => (wanted ? version === wanted : index === 0))
  if (!policy || !text) return <NotFound />
  const inForce = policy.versions[0]
  return (
    <Page title={policy.title} width="reading">
      <EdgeText>
        <p className="font-medium">{text.short}</p>
        <p className="mt-12 text-label text-quiet">
          {text === inForce
            ? `In force since ${longDay(text.version, 'UTC')}.`
            : `This version was in force from ${longDay(text.version, 'UTC')}. It is not in force any more.`}{' '}
          {text.changed}
        </p>
      </EdgeText>
      <EdgeText className="pt-24">
        <nav aria-label="On this page">
          <ol className="grid gap-x-24 text-label sm:grid-cols-2">
            {text.sections.map((section) => (
              <li key={section.id}>
                <a href={`#${section.id}`} className={`inline-flex min-h-target items-center ${linkClass}`}>
                  {section.title}
                </a>
              </li>
            ))}
          </ol>
        </nav>
      </EdgeText>
      <Prose sections={text.sections} />
      <Versions policy={policy} shown={text.version} />
    </Page>
  )
}

function Versions({ policy, shown }: { policy: Policy; shown: string }) {
  return (
    <EdgeText className="pt-32">
      <h2 id="versions" className="scroll-mt-72 text-lead font-medium">
        Versions
      </h2>
      <ul className="mt-8 grid gap-8">
        {policy.versions.map((each) => (
          <li key={each.version}>
            {each.version === shown ? (
              <span>{longDay(each.version, 'UTC')}, shown here</span>
            ) : (
              <Link to="." search={{ version: each.version }} className={linkClass}>
                {longDay(each.version, 'UTC')}
              </Link>
            )}
            . {each.changed}
          </li>
        ))}
      </ul>
      <Passages
        passages={[
          'Which version you accepted is kept with your account. The other policies: [Terms](/terms), [Privacy](/privacy), [Acceptable use](/acceptable-use), [Refund policy](/refund-policy).',
        ]}
      />
    </EdgeText>
  )
}

import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Settings } from '../../contract/contract.ts'
import { paths } from '../paths.ts'
import { settingsRead } from '../reads.ts'
import { ReadProblem } from '../shell/Broken.tsx'
import { Page } from '../shell/Page.tsx'
import { Loading } from '../ui/Loading.tsx'
import { Tabs, tabClass } from '../ui/Tabs.tsx'

const pages = [
  { text: 'Profile', path: paths.settings() },
  { text: 'Sign-in and security', path: paths.security() },
  { text: 'API keys', path: paths.keys() },
  { text: 'Mails', path: paths.mails() },
]

/** One of the pages of Settings, with the others above it. */
export function SettingsPage({ title, children }: { title: string; children: (settings: Settings) => ReactNode }) {
  const settings = useQuery(settingsRead)
  return (
    <Page
      title={title}
      above={
        <Tabs
          label="Settings"
          links={pages.map((page) => ({
            key: page.text,
            link: (
              <Link {...page.path} activeOptions={{ exact: true }} className={tabClass}>
                {page.text}
              </Link>
            ),
          }))}
        />
      }
    >
      {settings.isPending && <Loading />}
      {settings.isError && !settings.data && <ReadProblem error={settings.error} again={() => settings.refetch()} />}
      {settings.data && children(settings.data)}
    </Page>
  )
}

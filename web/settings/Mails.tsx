import { type FormEvent, useState } from 'react'
import type { Settings } from '../../contract/contract.ts'
import { Check } from '../ui/Field.tsx'
import { Refused, Save, Section } from './forms.tsx'
import { useChange } from './Profile.tsx'
import { SettingsPage } from './SettingsPage.tsx'

export function MailsPage() {
  return <SettingsPage title="Mails">{(settings) => <Mails settings={settings} />}</SettingsPage>
}

function Mails({ settings }: { settings: Settings }) {
  const [mails, choose] = useState(settings.mails)
  const { press, go, forget, saved } = useChange()

  function submit(event: FormEvent) {
    event.preventDefault()
    void go({ mails })
  }

  return (
    <>
      <Section title="What we write to you" about={`Mails go to ${settings.email}.`}>
        <Refused lead="Nothing was saved" problems={[]} press={press} />
        <form onSubmit={submit} noValidate className="grid gap-12">
          <Check
            label="A receipt for each payment"
            hint="And for each refund to your card; and a notice when your bank reserved an amount that we did not take."
            checked={mails.receipts}
            onChange={(event) => {
              choose({ ...mails, receipts: event.currentTarget.checked })
              forget()
            }}
          />
          <Check
            label="A mail when a new browser signs in"
            hint="So that you know when it was not you."
            checked={mails.sign_ins}
            onChange={(event) => {
              choose({ ...mails, sign_ins: event.currentTarget.checked })
              forget()
            }}
          />
          <Save pending={press.state === 'pending'} saved={saved}>
            Save the choice of mails
          </Save>
        </form>
      </Section>
      <Section title="What is sent always">
        <p className="max-w-reading">
          Mails that guard your account cannot be switched off: the links that you ask for, and the word that your
          password or your e-mail was changed.
        </p>
      </Section>
    </>
  )
}

/** The door of Settings: its pages, loaded when somebody opens one of them. */
export { KeysPage } from './Keys.tsx'
export { MailsPage } from './Mails.tsx'
export { ProfilePage } from './Profile.tsx'
export { SecurityPage } from './Security.tsx'

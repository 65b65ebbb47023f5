//! Whom the gate knows, and what changes about them: keys, books, authenticators.

use super::beginning::keys;
use super::{ALICE, BOB, Bench, Person, START};
use crate::key::SecretKey;
use crate::roster::{Client, FixedRoster, FormerKey, Roster};
use crate::time::UnixTime;
use crate::totp::TotpSecret;

impl<const E: usize, const H: usize, const N: usize, const L: usize> Bench<E, H, N, L> {
    pub(in crate::gate::tests) fn client(&self, who: usize) -> Client {
        self.people[who].client.clone()
    }

    pub(in crate::gate::tests) fn book(&self, who: usize) -> crate::book::BookId {
        self.people[who].book.id()
    }

    /// The first number of the book of `who` that was never offered.
    pub(in crate::gate::tests) fn cursor(&self, who: usize) -> u32 {
        self.gate.roster().cursor(self.book(who))
    }

    pub(in crate::gate::tests) fn set_cursor(&mut self, who: usize, next: u32) {
        let book = self.book(who);
        self.gate.roster_mut().set_cursor(book, next);
    }

    /// The roster loses `who`, and the gate is told.
    pub(in crate::gate::tests) fn remove(&mut self, who: usize) {
        self.people[who].gone = true;
        self.enrol();
        let (now, gone) = (self.now(), self.people[who].client.id);
        self.gate.forget_client(now, gone);
        self.turn();
    }

    /// The roster learns something else about `who`.
    pub(in crate::gate::tests) fn change_client(&mut self, who: usize, change: impl FnOnce(&mut Client)) {
        change(&mut self.people[who].client);
        self.enrol();
    }

    /// Makes the roster anew; what was used stays used.
    fn enrol(&mut self) {
        let old = self.gate.roster();
        let mut roster = FixedRoster::new();
        for Person { client, totp, .. } in self.people.iter().filter(|person| !person.gone) {
            roster.add_client(client.clone(), old.used(client.id), totp.clone()).unwrap();
        }
        for book in [ALICE, BOB].map(|who| &self.people[who].book) {
            roster.add_book(book.clone(), old.cursor(book.id())).unwrap();
        }
        *self.gate.roster_mut() = roster;
    }

    /// Gives `who` an authenticator.
    pub(in crate::gate::tests) fn give_authenticator(&mut self, who: usize) {
        self.people[who].totp = Some(TotpSecret::generate(&mut self.rng));
        self.enrol();
    }

    /// What the authenticator of `who` shows `ahead` seconds from now.
    pub(in crate::gate::tests) fn code(&self, who: usize, ahead: i64) -> u32 {
        let seconds = self.unix_seconds().checked_add_signed(ahead).unwrap();
        self.people[who].totp.as_ref().unwrap().code_at(seconds / 30)
    }

    fn unix_seconds(&self) -> u64 {
        START / 1_000_000 + self.micros / 1_000_000
    }

    /// `who` makes a new key; the gate takes the old one for a former key until then.
    pub(in crate::gate::tests) fn change_key(&mut self, who: usize, until: Option<UnixTime>) {
        let person = &mut self.people[who];
        let former = until.map(|until| FormerKey { key: person.client.key, until });
        person.secret = SecretKey::generate(&mut self.rng);
        (person.client.key, person.client.former) = (person.secret.public(), former);
        self.enrol();
    }

    /// `who` puts the key that it had last into its profile.
    pub(in crate::gate::tests) fn use_new_key(&mut self, who: usize) {
        self.use_door_key(who, 0);
    }

    /// Gives `who` a profile with another door key of the gate.
    pub(in crate::gate::tests) fn use_door_key(&mut self, who: usize, at: usize) {
        let person = &mut self.people[who];
        person.keys = keys(self.gate.config(), at, &person.secret, &person.book);
    }
}

//! What a command line means to the rest of the program: the options of each command in the words of whoever carries it out.

use knockgate_core::Name;
use knockgate_core::message::Reach;

use super::{
    Close, Doctor, Enroll, Form, GateOptions, Keygen, Knock, Passphrase, PlaceOptions, Profiles, Proxy, Qr,
    Renew, Run, Show, Status, Unlock, WishOptions, from_here,
};
use crate::attempt::{Asked, Call};
use crate::code::Codes;
use crate::doctor::DoctorCall;
use crate::manage::enroll::is_stdin;
use crate::manage::lock::Wanted;
use crate::passphrase::Source;
use crate::proxy::ProxyCall;
use crate::run::RunCall;
use crate::settings::{Choices, Family, Host, Wait};
use crate::store::Replace;

impl GateOptions {
    /// How the result is told.
    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }

    pub(crate) fn choices(&self) -> Choices {
        self.place.choices()
    }
}

impl PlaceOptions {
    /// What the command line chose; the settings file fills in the rest.
    pub(crate) fn choices(&self) -> Choices {
        let family = match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::Ipv4),
            (false, true) => Some(Family::Ipv6),
            (false, false) => None,
        };
        let &Self { timeout, via, port, .. } = self;
        Choices { family, timeout, via, port, address: self.address.clone(), ..self.unlock.choices() }
    }
}

impl Unlock {
    fn choices(&self) -> Choices {
        let file = self.passphrase_file.as_ref().map(|file| from_here(file));
        Choices { passphrase_file: file, ..Choices::default() }
    }
}

impl Keygen {
    pub(crate) fn replace(&self) -> Replace {
        Replace::of_force(self.force)
    }

    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }
}

impl Enroll {
    /// The name that was chosen, or that of the file.
    pub(crate) fn name(&self) -> Result<Name, String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        if is_stdin(&self.file) {
            return Err(
                "standard input has no name that the profile could get; choose one with --name".to_owned()
            );
        }
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        stem.parse().map_err(|error| {
            let file = self.file.display();
            format!("{file}: its name cannot name a profile: {error}; choose one with --name")
        })
    }

    pub(crate) fn replace(&self) -> Replace {
        Replace::of_force(self.force)
    }

    pub(crate) fn choices(&self) -> Choices {
        self.unlock.choices()
    }

    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }
}

impl Profiles {
    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }
}

impl Passphrase {
    pub(crate) fn wanted(&self) -> Wanted {
        if self.remove {
            return Wanted::Remove;
        }
        Wanted::Set(Source::chosen(self.new_passphrase_file.as_ref().map(|file| from_here(file))))
    }

    pub(crate) fn choices(&self) -> Choices {
        self.unlock.choices()
    }

    pub(crate) fn form(&self) -> Form {
        Form::of_json(self.json)
    }
}

impl Qr {
    pub(crate) fn show(&self) -> Show {
        match (&self.svg, self.text) {
            (Some(file), _) => Show::Picture(file.clone()),
            (None, true) => Show::Text,
            (None, false) => Show::Code,
        }
    }
}

impl WishOptions {
    /// What was chosen here and in `place`.
    pub(crate) fn choices(&self, place: &PlaceOptions) -> Choices {
        let prefix = Some(Reach::Prefix).filter(|_| self.prefix);
        Choices { seconds: self.seconds, prefix, ..place.choices() }
    }

    pub(crate) fn codes(&self) -> Codes {
        Codes::of_flag(self.code)
    }
}

impl Knock {
    pub(crate) fn call(&self) -> Call {
        let wait = self.wait.map(Wait::Seconds);
        let choices = Choices { service: self.service.clone(), wait, ..self.wish.choices(&self.gate.place) };
        let (codes, form) = (self.wish.codes(), self.gate.form());
        Call { profile: self.profile.clone(), asked: Asked::Knock, choices, codes, form }
    }
}

impl Run {
    pub(crate) fn call(&self) -> RunCall {
        let (service, wait) = (Some(self.service.clone()), self.wait.map(Wait::Seconds));
        let choices = Choices { service, wait, ..self.wish.choices(&self.place) };
        let (profile, command) = (self.profile.clone(), self.command.clone());
        RunCall { profile, choices, codes: self.wish.codes(), command }
    }
}

impl Proxy {
    /// The last two are where to connect to.
    pub(crate) fn call(&self) -> Result<ProxyCall, String> {
        let usage =
            || "name the service, if at all, then HOST and PORT: knockgate proxy home %h %p".to_owned();
        let (service, host, port) = match self.to.as_slice() {
            [host, port] => (None, host, port),
            [service, host, port] => (Some(service), host, port),
            _ => return Err(usage()),
        };
        let service = match service.map(|name| name.parse::<Name>()).transpose() {
            Ok(service) => service,
            Err(error) => return Err(format!("the service: {error}")),
        };
        let host = host.parse::<Host>().map_err(|error| format!("HOST: {error}"))?;
        let port = port.parse().ok().filter(|&port: &u16| port != 0);
        let port = port.ok_or("PORT: no port; write a number from 1 to 65535")?;
        let prefix = Some(Reach::Prefix).filter(|_| self.prefix);
        let choices = Choices { service, seconds: self.seconds, prefix, ..self.place.choices() };
        Ok(ProxyCall { profile: self.profile.clone(), choices, host: host.as_str().to_owned(), port })
    }
}

impl Doctor {
    pub(crate) fn call(&self) -> DoctorCall {
        let choices = Choices { service: self.service.clone(), ..self.gate.choices() };
        DoctorCall { profile: self.profile.clone(), choices, form: self.gate.form() }
    }
}

impl Renew {
    pub(crate) fn call(&self) -> Call {
        let (service, seconds) = (self.service.clone(), self.seconds);
        let choices = Choices { service, seconds, ..self.gate.choices() };
        let (codes, form) = (Codes::of_flag(self.code), self.gate.form());
        let asked = Asked::Renew(self.grant.unwrap_or(0));
        Call { profile: self.profile.clone(), asked, choices, codes, form }
    }
}

impl Close {
    pub(crate) fn call(&self) -> Call {
        let choices = Choices { service: self.service.clone(), ..self.gate.choices() };
        let asked = Asked::Close(self.grant.unwrap_or(0));
        Call { profile: self.profile.clone(), asked, choices, codes: Codes::Never, form: self.gate.form() }
    }
}

impl Status {
    pub(crate) fn call(&self) -> Call {
        let (choices, form) = (self.gate.choices(), self.gate.form());
        let codes = Codes::Never;
        Call { profile: self.profile.clone(), asked: Asked::Status, choices, codes, form }
    }
}

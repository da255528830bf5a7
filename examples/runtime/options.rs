//! What the command line asks for.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::load::Length;

const USAGE: &str = "\
--listen ADDR    where it serves, by default 127.0.0.1:8080
--load SECONDS   makes its own load, and ends
--rounds N       the same, for each client so often";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) load: Option<Length>,
}

impl Options {
    pub(crate) fn parse<'a>(arguments: impl Iterator<Item = &'a String>) -> Result<Self, String> {
        Self::parse_all(arguments).map_err(|why| format!("{why}\n\n{USAGE}"))
    }

    fn parse_all<'a>(mut arguments: impl Iterator<Item = &'a String>) -> Result<Self, String> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            load: None,
        };
        while let Some(option) = arguments.next() {
            let mut value = || arguments.next().map_or("", String::as_str);
            match option.as_str() {
                "--listen" => options.listen = parsed(option, value())?,
                "--rounds" => options.load = Some(Length::Rounds(parsed(option, value())?)),
                "--load" => {
                    let seconds = parsed(option, value())?;
                    let time = Duration::try_from_secs_f64(seconds);
                    let time = time.map_err(|why| refused(option, seconds, why))?;
                    options.load = Some(Length::Time(time));
                }
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(options)
    }
}

fn parsed<T: FromStr<Err: Display>>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|why| refused(option, value, why))
}

fn refused(option: &str, value: impl Display, why: impl Display) -> String {
    format!("{option} {value}: {why}")
}

//! What can go wrong at a command.

use std::str::FromStr;
use std::time::Duration;

/// Something that goes wrong at a command.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The card executes the command and is pulled before it answers.
    Pull,
    /// The card loses its volatile state before the command, as if another program had reset it.
    Reset,
    /// The card executes the command and answers these bytes instead.
    Answer(Vec<u8>),
    /// The card executes the command; the second half of its answer is lost, status word included.
    Truncate,
    /// The card executes the command; the second half of the data is missing before the status word.
    Shorten,
    /// The card executes the command; somebody on the line makes something else of its answer, and knows the one before it.
    Alter(fn(answer: Vec<u8>, before: &[u8]) -> Vec<u8>),
    /// The card executes the command and answers this much later.
    Delay(Duration),
    /// The card executes the command and never answers it.
    Mute,
    /// The card executes the command; as many random bytes as it answers come instead.
    Noise,
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no fault: expected pull, reset, mute, noise, truncate, shorten, answer:<hexadecimal> or \
     delay:<milliseconds>"
)]
pub struct FaultError(String);

/// `pull`, `reset`, `mute`, `noise`, `truncate`, `shorten`, `answer:6F00`, `delay:1000`.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let error = || FaultError(text.to_owned());
        Ok(match text.split_once(':').unwrap_or((text, "")) {
            ("pull", "") => Fault::Pull,
            ("reset", "") => Fault::Reset,
            ("mute", "") => Fault::Mute,
            ("noise", "") => Fault::Noise,
            ("truncate", "") => Fault::Truncate,
            ("shorten", "") => Fault::Shorten,
            ("answer", bytes) => Fault::Answer(hex::decode(bytes).map_err(|_| error())?),
            ("delay", time) => Fault::Delay(Duration::from_millis(time.parse().map_err(|_| error())?)),
            _ => return Err(error()),
        })
    }
}

/// A fault and the command it happens at: `5=mute`, or `5+=mute` for every fifth one.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    number: u64,
    repeated: bool,
    fault: Fault,
}

impl FaultPlan {
    /// The fault at this command, counted from 1.
    pub(super) fn at(&self, command: u64) -> Option<&Fault> {
        let due = if self.repeated { command.is_multiple_of(self.number) } else { command == self.number };
        due.then_some(&self.fault)
    }
}

impl FromStr for FaultPlan {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<FaultPlan, FaultError> {
        let error = || FaultError(text.to_owned());
        let (number, fault) = text.split_once('=').ok_or_else(error)?;
        let (number, repeated) = match number.strip_suffix('+') {
            Some(number) => (number, true),
            None => (number, false),
        };
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(error)?;
        Ok(FaultPlan { number, repeated, fault: fault.parse()? })
    }
}

impl Fault {
    /// What becomes of the card's answer on its way.
    pub(super) fn distort(&self, mut answer: Vec<u8>, before: &[u8]) -> Vec<u8> {
        match self {
            Fault::Answer(bytes) => bytes.clone(),
            Fault::Alter(alter) => alter(answer, before),
            Fault::Truncate => {
                answer.truncate(answer.len() / 2);
                answer
            }
            Fault::Shorten => {
                let data = answer.len().saturating_sub(2);
                answer.drain(data / 2..data);
                answer
            }
            Fault::Noise => {
                // Without random numbers it is zeros, which are no answer either.
                answer.fill(0);
                let _ = getrandom::fill(&mut answer);
                answer
            }
            Fault::Pull | Fault::Reset | Fault::Delay(_) | Fault::Mute => answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_answers_lose_their_end_and_shortened_ones_their_middle() {
        let answer = vec![1, 2, 3, 4, 0x90, 0x00];
        assert_eq!(Fault::Truncate.distort(answer.clone(), &[]), [1, 2, 3]);
        assert_eq!(Fault::Shorten.distort(answer, &[]), [1, 2, 0x90, 0x00]);
        assert_eq!(Fault::Truncate.distort(vec![0x90, 0x00], &[]), [0x90]);
        assert_eq!(Fault::Shorten.distort(vec![0x90, 0x00], &[]), [0x90, 0x00]);
        assert_eq!(Fault::Shorten.distort(Vec::new(), &[]), Vec::<u8>::new());
    }

    #[test]
    fn noise_is_as_long_as_the_answer_and_never_the_same() {
        let answer = vec![0x90; 40];
        let noise = [Fault::Noise.distort(answer.clone(), &[]), Fault::Noise.distort(answer.clone(), &[])];
        assert!(noise[0].len() == 40 && noise[0] != noise[1] && noise[0] != answer);
    }

    #[test]
    fn faults_are_named_by_a_text() {
        let delay = "delay:1500".parse();
        assert!(matches!(delay, Ok(Fault::Delay(time)) if time == Duration::from_millis(1500)));
        assert!(matches!("answer:6F00".parse(), Ok(Fault::Answer(bytes)) if bytes == [0x6F, 0]));
        for text in ["pull", "reset", "mute", "noise", "truncate", "shorten"] {
            assert!(text.parse::<Fault>().is_ok(), "{text}");
        }
        for text in ["", "explode", "pull:1", "answer:6F0", "delay:", "delay:soon"] {
            assert_eq!(text.parse::<Fault>().unwrap_err(), FaultError(text.to_owned()));
        }
        let once: FaultPlan = "3=mute".parse().unwrap();
        let again: FaultPlan = "3+=mute".parse().unwrap();
        let due = |plan: &FaultPlan| (1..8).filter(|n| plan.at(*n).is_some()).collect::<Vec<_>>();
        assert_eq!((due(&once), due(&again)), (vec![3], vec![3, 6]));
        for text in ["mute", "=mute", "0=mute", "+=mute", "x=mute", "3=explode"] {
            assert!(text.parse::<FaultPlan>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_may_be_replaced_by_the_one_before() {
        let replay = Fault::Alter(|_, before| before.to_vec());
        assert_eq!(replay.distort(vec![0x90, 0x00], &[1, 0x90, 0x00]), [1, 0x90, 0x00]);
    }
}

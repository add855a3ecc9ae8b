//! What can go wrong at a command.

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
    fn an_answer_may_be_replaced_by_the_one_before() {
        let replay = Fault::Alter(|_, before| before.to_vec());
        assert_eq!(replay.distort(vec![0x90, 0x00], &[1, 0x90, 0x00]), [1, 0x90, 0x00]);
    }
}

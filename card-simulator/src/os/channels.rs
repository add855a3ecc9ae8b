//! MANAGE CHANNEL: logical channels (ISO/IEC 7816-4, 11.1.2).

use super::apdu::Command;
use super::binary::no_data;
use super::channel::Channel;
use super::{Card, Outcome, Sw};

const OPEN: u16 = 0x0000;
const CLOSE: u16 = 0x8000;
const RESET: u16 = 0x4000;
const RESET_APPLICATION: u16 = 0x4001;

impl Card {
    pub(super) fn manage_channel(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        match command.parameters() {
            OPEN => self.open_channel(command),
            CLOSE => self.close_channel(command.channel()),
            RESET => {
                *self.channel_mut(command.channel())? = Channel::new(self.layout.master());
                Ok(Sw::OK.into())
            }
            RESET_APPLICATION => {
                self.reset();
                Ok(Sw::OK.into())
            }
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    /// Opens the first free channel; it starts at the master file with nothing earned.
    fn open_channel(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        let master = self.layout.master();
        let mut numbered = (0u8..).zip(self.channels.iter_mut());
        let free = numbered.find(|(_, channel)| channel.is_none());
        let (number, channel) = free.ok_or(Sw::NO_MORE_CHANNELS)?;
        *channel = Some(Channel::new(master));
        Ok(vec![number].into())
    }

    fn close_channel(&mut self, number: u8) -> Outcome {
        match self.channels.get_mut(usize::from(number)) {
            // The basic channel is always open.
            _ if number == 0 => Err(Sw::NOT_SUPPORTED),
            Some(channel) => {
                *channel = None;
                Ok(Sw::OK.into())
            }
            None => Err(Sw::CHANNEL_CLOSED),
        }
    }
}

/* powercut FOLDER: the file system that FOLDER is on loses what was not synced, and all that comes
 * later, until it is mounted again. ext4's EXT4_IOC_SHUTDOWN, without a flush of its journal. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define NO_FLUSH 2

int main(int count, char **words) {
    uint32_t how = NO_FLUSH;
    if (count != 2) return 2;
    int folder = open(words[1], O_RDONLY | O_DIRECTORY);
    if (folder < 0 || ioctl(folder, EXT4_IOC_SHUTDOWN, &how)) {
        perror(words[1]);
        return 1;
    }
    return 0;
}
